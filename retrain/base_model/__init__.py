"""The tiny base model: a Llama of two million weights, trained here on synthetic dialogues."""

from retrain.base_model.snapshot import BASE_MODEL_ID, base_model_path, template_sha256

__all__ = ["BASE_MODEL_ID", "base_model_path", "template_sha256"]
