"""A local model server with TGI's routes: one machine, one batching worker, mixed LoRA adapters.

It exists for development, tests and the demo; production serves the same files with TGI or vLLM.
"""
