"""The application: pages, answers for programs, files; errors become one line each."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles

from hoaxwatch import report
from hoaxwatch.web import answers, pages
from hoaxwatch.web.facts import NotThere
from hoaxwatch.web.guard import Access, Guard
from hoaxwatch.web.site import ASSETS, Site, page
from streams.errors import Unavailable, UsageError
from streams.settings import Settings

HERE = Path(__file__).parent


def build_app(settings: Settings, dsn: str, access: Access) -> FastAPI:
    """The page of a project whose database is at `dsn`."""
    app = FastAPI(
        title="hoaxwatch",
        version=version("hoaxwatch"),
        description="What hoaxwatch stores, read-only. Times are UTC; unknown is null, never 0; a"
        " score is a model's opinion.",
        openapi_url="/api/openapi.json",
        docs_url=None,  # they load scripts from elsewhere; /about-the-api says it
        redoc_url=None,
    )
    app.state.site = Site(settings, dsn, access)
    app.include_router(pages.router)
    app.include_router(answers.router)
    app.add_api_route("/static/report/page.css", _report_style, include_in_schema=False)
    if ASSETS.is_dir():
        app.mount("/static/assets", StaticFiles(directory=ASSETS))
    app.mount("/static", StaticFiles(directory=HERE / "static"))
    app.add_middleware(Guard, access=access)

    @app.exception_handler(UsageError)
    def wrong(request: Request, error: UsageError) -> Response:
        return _failed(request, 404 if isinstance(error, NotThere) else 400, str(error))

    @app.exception_handler(Unavailable)
    def down(request: Request, error: Unavailable) -> Response:
        return _failed(request, 503, str(error))

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> Response:
        return _failed(request, error.status_code, error.detail)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        if request.url.path.startswith("/api/"):
            said = [{"loc": e["loc"], "msg": e["msg"], "type": e["type"]} for e in error.errors()]
            return JSONResponse({"detail": said}, 422)
        said_all = "; ".join(f"{e['loc'][-1]}: {e['msg']}" for e in error.errors())
        return _failed(request, 422, said_all)

    return app


def _report_style() -> Response:
    """The style of the report: the page looks alike."""
    return FileResponse(Path(report.__file__).with_name("page.css"), media_type="text/css")


def _failed(request: Request, status: int, message: str) -> Response:
    """One line, as JSON for programs."""
    if request.url.path.startswith("/api/"):
        return JSONResponse({"detail": message}, status)
    return page(request, "error.html.jinja", status, code=status, message=message)
