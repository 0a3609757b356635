"""Which URLs and addresses assets may come from."""

from __future__ import annotations

import ipaddress

import pytest

from video_pipeline.engine.assets.urls import check_url, is_public
from video_pipeline.engine.errors import FetchError


@pytest.mark.parametrize(
    ("text", "host", "port", "target"),
    [
        ("http://example.com", "example.com", 80, "/"),
        ("HTTPS://Example.com./a/b.jpg?x=1#part", "example.com", 443, "/a/b.jpg?x=1"),
        ("https://example.com:8443/%20", "example.com", 8443, "/%20"),
        ("http://93.184.216.34/x", "93.184.216.34", 80, "/x"),
        ("https://[2606:4700::1111]/x", "2606:4700::1111", 443, "/x"),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", 443, "/"),
    ],
)
def test_a_url_is_taken_apart(text: str, host: str, port: int, target: str) -> None:
    url = check_url(text)
    assert (url.host, url.port, url.target) == (host, port, target)


@pytest.mark.parametrize(
    "text",
    [
        "ftp://example.com/a",
        "file:///etc/passwd",
        "http:/etc/passwd",
        "http:example.com",
        "http://",
        "http:///a",
        "https://user@example.com/",
        "https://user:word@example.com/",
        "https://example.com@127.0.0.1/",
        "https://example.com:/",
        "https://example.com:0/",
        "https://example.com:22/",
        "https://example.com:99999/",
        "https://example.com:8o/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://1.2.3.4.5/",
        "http://example.1/",
        "http://0/",
        "http://[::1",
        "http://[fe80::1%25eth0]/",
        "http://[::ffff:127.0.0.1/",
        "http://exa mple.com/",
        "http://example.com/a b",
        "http://example.com/\r\nHost: x",
        "http://example.com\t/",
        "http://example.com\\@127.0.0.1/",
        "http://ⓛocalhost/",
        "http://example。com/",
        "http://-bad-.example/",
        "http://a..b/",
        "http://" + "a" * 5000,
    ],
)
def test_other_urls_are_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(FetchError, match="allowed: http") as caught:
        check_url(text)
    assert caught.value.kind == "refused"


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254",
        "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1",
        "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
        "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2001:2::1",
        "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:a00:1::", "fc00::1", "fd12::1", "fe80::1", "fe80::1%eth0",
        "fec0::1", "ff02::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ],
)  # fmt: skip
def test_addresses_that_are_not_of_the_public_internet(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "text",
    ["8.8.8.8", "1.1.1.1", "93.184.216.34", "172.32.0.1", "2606:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8",
     "64:ff9b::808:808", "2002:808:808::1"],
)  # fmt: skip
def test_addresses_of_the_public_internet(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))
