"""Columns of Arrow as texts, and the fields of structs as columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa

from cossign.batch import compute as pc


def as_bytes(values: pa.Array) -> pa.Array:
    """Texts as Arrow bytes: what calls itself strings may hold some that are no UTF-8, which Python cannot take."""
    if pa.types.is_dictionary(values.type):
        values = dictionary_values(values)
    if pa.types.is_string(values.type) or pa.types.is_binary(values.type):
        return values.view(pa.binary())  # a cast copies nothing either, but imports pyarrow.compute
    return values.cast(pa.binary())


def as_strings(values: pa.Array) -> pa.Array:
    """Texts as Arrow strings; bytes that are no UTF-8 become U+FFFD."""
    if pa.types.is_dictionary(values.type):
        values = dictionary_values(values)
    if pa.types.is_binary_view(values.type):
        values = values.cast(pa.binary())
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return values
    try:
        if not pa.types.is_binary(values.type):
            return values.cast(pa.large_string() if pa.types.is_large_binary(values.type) else pa.string())
        strings = values.view(pa.string())  # as in as_bytes
        strings.validate(full=True)
        return strings
    except pa.ArrowInvalid:
        return pa.array(
            [None if each is None else each.decode("utf-8", "replace") for each in values.to_pylist()], pa.string()
        )


def field_types(fields: Iterable[pa.Field], before: str = "") -> dict[str, pa.DataType]:
    """The types of columns, and of the fields of those that are structs."""
    types = {}
    for field in fields:
        types[before + field.name] = field.type
        if pa.types.is_struct(field.type):
            types.update(field_types(field.type, f"{before}{field.name}."))
    return types


def select_columns(batch: pa.RecordBatch, wanted_names: Sequence[str]) -> pa.RecordBatch:
    """The wanted columns, those of structs taken out of them, in layouts that all of pyarrow's functions take."""
    columns = []
    for name in wanted_names:
        top, *inner = [name] if name in batch.schema.names else name.split(".")
        column = batch.column(top)
        try:
            columns.append(plain(pc.struct_field(plain(column), inner) if inner else column))
        except pa.ArrowException as error:
            raise pa.ArrowNotImplementedError(f"{name!r} holds {column.type}: {error}") from None
    return pa.record_batch(columns, list(wanted_names))


def is_text(kind: pa.DataType) -> bool:
    """Whether values are strings or bytes, of any size and layout."""
    return any(
        check(kind)
        for check in (
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_string_view,
            pa.types.is_binary,
            pa.types.is_large_binary,
            pa.types.is_binary_view,
        )
    )


def plain(column: pa.Array) -> pa.Array:
    """A column in a layout that all of pyarrow's functions take: without views, run ends and types of extensions."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return plain(column.storage)
    if pa.types.is_run_end_encoded(kind):
        values = plain(column.values)
        places = pa.RunEndEncodedArray.from_buffers(
            pa.run_end_encoded(kind.run_end_type, pa.int64()),
            len(column),
            [None],
            offset=column.offset,
            children=[column.run_ends, pa.array(range(len(values)), pa.int64())],
        )
        return values.take(pc.run_end_decode(places))
    if pa.types.is_dictionary(kind) and plain_type(kind.value_type) != kind.value_type:
        return dictionary_values(column)
    target = plain_type(kind)
    return column if target == kind else column.cast(target)


def dictionary_values(column: pa.Array) -> pa.Array:
    """A dictionary's column as its values."""
    return plain(column.dictionary).take(column.indices)


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type of the same values without views, within lists and structs, too."""
    if pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(plain_type(kind.value_type)))
    if pa.types.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(plain_type(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(plain_type(field.type)) for field in kind])
    return kind


def buffers_of(texts: pa.Array) -> tuple[pa.Buffer | bytes, memoryview]:
    """The bytes of an array of strings or of the binary type, and its offsets of 32 bits."""
    _, offsets, data = texts.buffers()
    places = memoryview(offsets)[4 * texts.offset : 4 * (texts.offset + len(texts) + 1)]
    return data if data is not None else b"", places


def text_buffers(texts: pa.Array) -> tuple[pa.Buffer | None, int, memoryview, pa.Buffer | bytes]:
    """Of an array of strings or of the binary type: its validity, the first row's place in it, offsets, and bytes."""
    if pa.types.is_large_string(texts.type) or pa.types.is_large_binary(texts.type):
        texts = texts.cast(pa.binary())
    data, places = buffers_of(texts)
    return texts.buffers()[0] if texts.null_count else None, texts.offset, places, data
