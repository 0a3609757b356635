"""What `doctor` says of HTTP, and the option that turns it on."""

from __future__ import annotations

from pathlib import Path

from tests.support.server import node_config
from video_pipeline.engine.cli.doctor_web import examine_web, web_line
from video_pipeline.engine.cli.main import build_parser
from video_pipeline.engine.cli.node_commands import node_config_of
from video_pipeline.engine.jobs.curve import keys_dir
from video_pipeline.engine.jobs.tokens import make_token


def test_doctor_says_where_http_is_and_how_many_tokens_there_are(tmp_path: Path) -> None:
    config = node_config(tmp_path)
    assert "off" in web_line(examine_web(config))
    on = config.override("web", enabled=True, port=81)
    make_token(keys_dir(on), "studio")
    assert (
        web_line(examine_web(on))
        == "HTTP          yes http://127.0.0.1:81, the page at http://127.0.0.1:81/; tokens: 1"
    )
    secure = on.override("web", tls_cert="a.pem", tls_key="b.pem", host="0.0.0.0")
    assert examine_web(secure)["address"] == "https://0.0.0.0:81"
    assert "pip install" in web_line({**examine_web(on), "missing": ["h11"]})


def test_serve_web_turns_http_on_and_without_it_the_configuration_decides(tmp_path: Path) -> None:
    file = tmp_path / "node.yaml"
    file.write_text("video_pipeline: {web: {enabled: true}}")

    def enabled(*options: str) -> bool:
        return node_config_of(build_parser().parse_args(["serve", *options])).web.enabled

    assert [enabled(), enabled("--web"), enabled("--config", str(file))] == [False, True, True]
