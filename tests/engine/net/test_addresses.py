"""The URLs and addresses from which assets may be fetched."""

from __future__ import annotations

import ipaddress

import pytest

from video_pipeline.engine.errors import FetchError
from video_pipeline.engine.net.addresses import check_url, check_written_address, is_public, is_url


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


def refusal(text: str) -> str:
    with pytest.raises(FetchError) as caught:
        check_url(text)
    assert caught.value.kind == "refused"
    assert caught.value.url == text
    return str(caught.value)


def of_length(length: int) -> str:
    start = "http://example.com/"
    return start + "a" * (length - len(start))


def test_a_url_has_at_most_4096_characters() -> None:
    assert len(check_url(of_length(4096)).text) == 4096
    assert "is longer than 4096 characters" in refusal(of_length(4097))
    assert len(refusal(of_length(100_000))) < 400, "and what is said of it is short"


def test_a_host_has_at_most_253_characters_and_each_label_63() -> None:
    longest = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])
    assert check_url(f"http://{longest}/").host == longest
    assert check_url(f"http://{longest}./").host == longest
    assert "is not a valid name" in refusal(f"http://{longest}d/")
    assert "is not a valid name" in refusal(f"http://{'a' * 64}.com/")
    assert len(refusal(f"http://{'a' * 4000}/")) < 600


@pytest.mark.parametrize("port", [1, 22, 25, 79, 81, 442, 444, 1022, 1023])
def test_ports_below_1024_are_the_web_s_alone(port: int) -> None:
    assert f"port {port};" in refusal(f"http://example.com:{port}/")


@pytest.mark.parametrize("port", [80, 443, 1024, 1025, 8080, 65535])
def test_other_ports_are_free_for_either_scheme(port: int) -> None:
    assert check_url(f"http://example.com:{port}/").port == port
    assert check_url(f"https://example.com:{port}/").port == port


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("http://example.com/a b", "percent-encoding"),
        ("ftp://example.com/", "scheme 'ftp'"),
        ("https://user@example.com/", "user or password"),
        ("http://example.com:/", "the port is missing"),
        ("http://example.com:99999/", "ort"),
        ("http://[::1", "nvalid IPv6 URL"),
        ("http://[127.0.0.1]/", "ddress"),
        ("http://127.1/", "not a valid name or address"),
        ("http://[v1.a]/", "is not a valid name or address"),
        ("http:///a", "host '' is not a valid name"),
        ("http://a_-.com/", "is not a valid name"),
        ("http://-a.com/", "is not a valid name"),
        ("http://a..com/", "is not a valid name"),
        ("http://2606:4700::1111/", "ort"),
    ],
)
def test_each_refusal_names_the_fault(text: str, words: str) -> None:
    assert words in refusal(text)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("http://a-b.example_1.com/", "a-b.example_1.com"),
        ("http://a/", "a"),
        ("http://0x.com/", "0x.com"),
        ("http://1.a/", "1.a"),
        ("http://127.0.0.1./", "127.0.0.1"),
    ],
)
def test_usual_hosts_are_taken(text: str, host: str) -> None:
    assert check_url(text).host == host


def test_the_parts_are_those_that_are_asked_for() -> None:
    url = check_url("HTTP://Example.COM:8080/a/b;c?x=1&y=?#part")
    assert url.scheme == "http"
    assert (url.host, url.port, url.target) == ("example.com", 8080, "/a/b;c?x=1&y=?")
    assert check_url("https://example.com?x").target == "/?x"
    assert check_url("https://example.com/?").target == "/"
    assert check_url("https://example.com").scheme == "https"


@pytest.mark.parametrize("text", ["http:", "https:", "HTTP://x", "HttpS:/x", "http:x"])
def test_text_that_begins_like_a_url_is_a_url(text: str) -> None:
    assert is_url(text)


@pytest.mark.parametrize("text", ["", "http", "xhttp://a", "ftp://a", "httpss://a", "/http://a", "a.jpg"])
def test_other_text_is_not_a_url(text: str) -> None:
    assert not is_url(text)


@pytest.mark.parametrize("text", ["2606:4700::1111%eth0", "2002:808:808::1%1", "64:ff9b::808:808%lo"])
def test_an_address_with_a_scope_is_not_public(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))
    assert is_public(ipaddress.ip_address(text.partition("%")[0]))


NETWORKS = {
    "0.0.0.0/8": ("0.0.0.0", "0.255.255.255", "1.0.0.0"),
    "10.0.0.0/8": ("10.0.0.0", "10.255.255.255", "11.0.0.0"),
    "100.64.0.0/10": ("100.64.0.0", "100.127.255.255", "100.128.0.0"),
    "127.0.0.0/8": ("127.0.0.0", "127.255.255.255", "128.0.0.0"),
    "169.254.0.0/16": ("169.254.0.0", "169.254.255.255", "169.255.0.0"),
    "172.16.0.0/12": ("172.16.0.0", "172.31.255.255", "172.32.0.0"),
    "192.0.0.0/24": ("192.0.0.0", "192.0.0.255", "192.0.1.0"),
    "192.88.99.0/24": ("192.88.99.0", "192.88.99.255", "192.88.100.0"),
    "192.168.0.0/16": ("192.168.0.0", "192.168.255.255", "192.169.0.0"),
    "198.18.0.0/15": ("198.18.0.0", "198.19.255.255", "198.20.0.0"),
    "::/96": ("::", "::ffff:ffff", None),
    "64:ff9b:1::/48": ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", None),
    "100::/64": ("100::", "100::ffff:ffff:ffff:ffff", None),
    "2001::/23": ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:200::"),
    "5f00::/16": ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
    "fc00::/7": ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
    "fec0::/10": ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
}
"""The first and the last address of what is not public, and the one behind it where that is public."""


@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_is_closed_from_its_first_address_to_its_last(network: str) -> None:
    first, last, behind = NETWORKS[network]
    whole = ipaddress.ip_network(network)
    assert (str(whole.network_address), str(whole.broadcast_address)) == (first, last)
    assert not is_public(whole.network_address)
    assert not is_public(whole.broadcast_address)
    if behind is not None:
        assert is_public(ipaddress.ip_address(behind))


@pytest.mark.parametrize("inner", ["10.0.0.1", "100.64.0.1", "192.88.99.1", "127.0.0.1", "169.254.169.254"])
def test_an_address_inside_another_is_judged_too(inner: str) -> None:
    number = int(ipaddress.IPv4Address(inner))
    for outer in (
        ipaddress.IPv6Address((0xFFFF << 32) | number),
        ipaddress.IPv6Address((0x64FF9B << 96) | number),
        ipaddress.IPv6Address((0x2002 << 112) | (number << 80) | 1),
    ):
        assert not is_public(outer)


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "[::1]", "169.254.169.254"])
def test_an_address_that_is_not_public_is_refused_before_anything_is_asked_of_the_network(host: str) -> None:
    with pytest.raises(FetchError, match="is not a public address") as raised:
        check_written_address(check_url(f"http://{host}/a.png"))
    assert raised.value.kind == "refused"


@pytest.mark.parametrize("host", ["8.8.8.8", "[2606:4700::1]", "example.org"])
def test_public_addresses_and_names_are_left_to_the_connection(host: str) -> None:
    check_written_address(check_url(f"http://{host}/a.png"))
