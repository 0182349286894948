"""Values keep their worth between JSON, the table and back, and boto3 agrees about it."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import Binary, TypeDeserializer, TypeSerializer
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.handler import refusals, values
from tests.unit.handler.table.engine import _number

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
STRINGS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
# boto3's own context stops at 1E-128; the last two powers of ten have a test of their own.
NUMBERS = st.builds(
    lambda digits, power, sign: Decimal(sign * digits).scaleb(power),
    st.integers(0, 10**38 - 1),
    st.integers(-128, 88),
    st.sampled_from([1, -1]),
).filter(lambda number: not number or -128 <= number.adjusted() <= 125)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | STRINGS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)
ITEMS = st.dictionaries(NAMES, JSON, max_size=6)


def text_of(value: Any) -> str:
    """Write JSON with each Decimal digit for digit; `json` would make it a float."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(text_of, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(name)}: {text_of(member)}' for name, member in value.items())}}}"
    return json.dumps(value)


def read(text: str) -> Any:
    """Read JSON exactly."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def normal(attribute: Any) -> Any:
    """Attribute values with numbers that compare by value."""
    if isinstance(attribute, dict):
        return {
            name: Decimal(member) if name == "N" and isinstance(member, str) else normal(member)
            for name, member in attribute.items()
        }
    return [normal(element) for element in attribute] if isinstance(attribute, list) else attribute


@settings(max_examples=300, deadline=None)
@given(ITEMS)
def test_an_item_is_stored_as_boto3_would_store_it(item: dict[str, Any]) -> None:
    serialize = TypeSerializer().serialize
    ours = values.encode_item(values.loads(text_of(item)))
    assert normal(ours) == normal({name: serialize(value) for name, value in item.items()})


@settings(max_examples=300, deadline=None)
@given(ITEMS)
def test_an_item_is_read_as_boto3_would_read_it(item: dict[str, Any]) -> None:
    serialize, deserialize = TypeSerializer().serialize, TypeDeserializer().deserialize
    stored: dict[str, Any] = {name: serialize(value) for name, value in item.items()}
    theirs = {name: deserialize(attribute) for name, attribute in stored.items()}
    assert read(values.write_item(stored)) == theirs == item
    assert read(values.dumps(values.loads(text_of(item)))) == item


def test_what_only_another_program_would_store_is_read_too() -> None:
    stored: Any = TypeSerializer().serialize({"s": {"b", "a"}, "n": {Decimal("1.5")}, "b": Binary(b"\x00\xff")})
    stored["M"]["b"]["B"] = "AP8="  # as it comes over the wire
    stored["M"]["bs"] = {"BS": ["AP8="]}
    assert read(values.write(stored)) == {
        "s": stored["M"]["s"]["SS"],
        "n": [Decimal("1.5")],
        "b": "AP8=",
        "bs": ["AP8="],
    }


def test_names_that_never_repeat_do_not_fill_the_memory() -> None:
    for number in range(3000):
        assert values.write_item({f'"{number}': {"NULL": True}}) == f'{{"\\"{number}":null}}'
    assert len(values._names) <= 1000


@settings(max_examples=1000, deadline=None)
@given(NUMBERS, st.sampled_from(["{}", "{:f}", "{:e}", "{:E}", "{:+E}"]))
def test_a_number_keeps_its_value_in_the_notation_the_table_answers_with(number: Decimal, form: str) -> None:
    token = form.format(number).removeprefix("+")
    number_read = values.loads(token)
    assert Decimal(number_read.text) == number, "no digit may be lost and no float may come near it"
    assert number_read.text == _number(token), "an answer to POST would differ from the GET that follows"
    assert values.plain(number_read.text) == number_read.text


@pytest.mark.parametrize(
    "token", ["1E-130", "-1e-130", "9.9999999999999999999999999999999999999E+125", "0e999999999999"]
)
def test_the_limits_of_a_number_are_the_tables(token: str) -> None:
    assert Decimal(values.loads(token).text) == Decimal(token)


@pytest.mark.parametrize(
    ("token", "rule"),
    [
        ("9.9E-131", "magnitude"),
        ("1E126", "magnitude"),
        ("-1e999999999999999999999", "magnitude"),
        ("1" * 39, "38 significant digits"),
        ("1." + "0" * 37 + "1", "38 significant digits"),
        ("123456789.123456789012345678901234567891", "38 significant digits"),
    ],
)
def test_a_number_the_table_cannot_hold_is_refused_with_its_place(token: str, rule: str) -> None:
    with pytest.raises(values.RefusedError) as refused:
        values.loads(f'{{"a": {{"b/c~d": [1, {token}]}}}}')
    ((pointer, detail),) = refused.value.errors
    assert pointer == "/a/b~1c~0d/1"
    assert rule in detail
    assert token not in detail, "an answer does not echo its input"


@pytest.mark.parametrize(
    "text",
    ["", " ", "{", '{"a":1}{', "{} {}", "[1,]", "NaN", "Infinity", "-Infinity", '{"a": NaN}', "01", "+1", "1.", ".5",
     "1e", "nul", "'a'", '"a', '"\t"', "\ufeff{}", "{a: 1}", '{"a" 1}', "// no\n1", '"\\x"', '"\\u12"'],
)  # fmt: skip
def test_what_is_not_one_json_document_is_unparseable(text: str) -> None:
    with pytest.raises(values.UnparseableError):
        values.loads(text)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    text = '{"a": 1, "a": 2, "b": ["\\ud800", {"": 1e999}], "c": ' + "[" * 40 + "]" * 40 + ', "\\udfff": 1}'
    with pytest.raises(values.RefusedError) as refused:
        values.loads(text)
    assert dict(refused.value.errors) == {
        "/a": "the same member twice",
        "/b/0": "a lone surrogate is not text",
        "/b/1/": "a number's magnitude is 1E-130 to 9.9E+125",
        "/c" + "/0" * 31: "nested more than 32 levels deep",
        "/?": "a lone surrogate is not text",
    }
    assert str(refused.value).startswith("/a: the same member twice; /b/0: ")


def test_what_is_told_about_a_hopeless_document_is_bounded() -> None:
    with pytest.raises(values.RefusedError) as refused:
        values.loads(f"[{','.join(['1e999'] * 1000)}]")
    assert len(refused.value.errors) == refusals.MAX_ERRORS


@pytest.mark.parametrize("depth", [33, 500, 5000, 100_000])
def test_nesting_is_refused_at_any_depth(depth: int) -> None:
    for text in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
        with pytest.raises(values.RefusedError, match="32 levels"):
            values.loads(text)
    fits = '{"a":' * 32 + "1" + "}" * 32
    assert values.dumps(values.loads(fits)) == fits
    brackets = '["' + "[{" * 50 + '"]'
    assert values.loads(brackets) == ["[{" * 50], "brackets inside text are not nesting"
    many = "[" + ",".join(["[]"] * 50) + "]"
    assert values.loads(many) == [[]] * 50, "fifty lists side by side are not nesting"


@pytest.mark.parametrize("text", ['"\\ud83d\\ude00"', '"😀"', '{"\\uD83D\\uDE00": "\\ud83d\\ude00"}', '"\\\\ud800"'])
def test_a_pair_of_surrogates_is_one_character(text: str) -> None:
    assert values.loads(text) == json.loads(text)


@pytest.mark.parametrize("text", ['"\\ud800"', '"\\udc00x"', '"\\ude00\\ud83d"', '"\ud800"', '{"\ud800": 1}'])
def test_half_a_pair_is_refused(text: str) -> None:
    with pytest.raises(values.RefusedError, match="lone surrogate"):
        values.loads(text)


@settings(max_examples=1000, deadline=None)
@given(st.text(max_size=60) | st.text('{}[]",:0123456789.eE+-\\ud8tfn ', max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        value = values.loads(text)
    except (values.UnparseableError, values.RefusedError):
        return
    assert values.loads(values.dumps(value)) == value


def test_a_number_is_neither_text_nor_a_float() -> None:
    one = values.loads("1.50")
    assert one == values.Number("1.5")
    assert one != values.Number("1.51")
    assert one != "1.5"
    assert len({one, values.loads("15e-1")}) == 1
    assert repr(one) == "Number('1.5')"
    assert values.encode(7) == {"N": "7"}
    with pytest.raises(TypeError, match="float has no attribute value"):
        values.encode(1.5)


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({"a": {"S": "bé"}}, 1 + 3),
        ({"a": {"BOOL": True}, "b": {"NULL": True}}, 4),
        ({"é": {"M": {"x": {"L": [{"S": "12"}]}}}}, 2 + 3 + 1 + 1 + 3 + 1 + 2),
    ],
)
def test_the_size_of_an_item_is_what_the_table_counts(item: dict[str, Any], size: int) -> None:
    assert values.size(item) == size


@given(NUMBERS)
def test_a_number_is_never_counted_smaller_than_the_table_counts_it(number: Decimal) -> None:
    text = values.loads(str(number)).text
    significant = len(text.replace(".", "").strip("-0"))
    assert values.size({"a": {"N": text}}) >= 1 + (significant + 1) // 2 + 1
