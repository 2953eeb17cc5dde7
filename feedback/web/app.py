"""The web application: one store, a few routers."""

from fastapi import FastAPI

from feedback.store.unit_of_work import Store
from feedback.web.health import router as health


def create_app(store: Store) -> FastAPI:
    """Returns the application on an open store; the caller closes the store."""
    app = FastAPI(title="Understudy", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.store = store
    app.include_router(health)
    return app
