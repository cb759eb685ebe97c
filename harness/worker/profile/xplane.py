"""The messages of an XSpace, which the profilers of TensorFlow and JAX write.

The numbers of fields are those of `tsl/profiler/protobuf/xplane.proto`, which never change. They
stand here because the only installed copy of that file is a private one of TensorFlow's. Fields
that nothing here reads are left out; the reader skips them.
"""

import functools
from typing import Any

# Messages with their fields: name, number, type. `*` is repeated, `#` a map from integers.
_FIELDS = {
    "XSpace": "planes 1 *XPlane",
    "XPlane": "name 2 string, lines 3 *XLine, event_metadata 4 #XEventMetadata, "
    "stat_metadata 5 #XStatMetadata",
    "XLine": "id 1 int64, name 2 string, timestamp_ns 3 int64, events 4 *XEvent",
    "XEvent": "metadata_id 1 int64, offset_ps 2 int64, duration_ps 3 int64, stats 4 *XStat",
    "XStat": "metadata_id 1 int64, double_value 2 double, uint64_value 3 uint64, "
    "int64_value 4 int64, str_value 5 string, bytes_value 6 bytes, ref_value 7 uint64",
    "XEventMetadata": "id 1 int64, name 2 string, stats 5 *XStat",
    "XStatMetadata": "id 1 int64, name 2 string",
}
_ONE_OF = {"XStat": "value"}  # the fields behind the first one exclude each other
_PACKAGE = "harness.xplane"


def new_space() -> Any:
    """Return an empty XSpace."""
    return _class()()


@functools.cache
def _class() -> Any:
    from google.protobuf import (  # type: ignore[import-untyped]
        descriptor_pb2,
        descriptor_pool,
        message_factory,
    )

    types = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="xplane.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, text in _FIELDS.items():
        message = file.message_type.add(name=name)
        if name in _ONE_OF:
            message.oneof_decl.add(name=_ONE_OF[name])
        for place, one in enumerate(text.split(", ")):
            key, number, kind = one.split()
            field = message.field.add(name=key, number=int(number), label=types.LABEL_OPTIONAL)
            if kind[0] in "*#":
                field.label, field.type = types.LABEL_REPEATED, types.TYPE_MESSAGE
                field.type_name = f".{_PACKAGE}.{kind[1:]}"
            else:
                field.type = getattr(types, f"TYPE_{kind.upper()}")
            if kind[0] == "#":
                entry = message.nested_type.add(name=_entry(key))
                entry.options.map_entry = True
                entry.field.add(name="key", number=1, label=1, type=types.TYPE_INT64)
                value = entry.field.add(name="value", number=2, label=1, type=types.TYPE_MESSAGE)
                value.type_name, field.type_name = field.type_name, f"{name}.{_entry(key)}"
            elif name in _ONE_OF and place:
                field.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.XSpace"))


def _entry(key: str) -> str:
    """The name that protocol buffers give to the message of a map's entries."""
    return "".join(part.title() for part in key.split("_")) + "Entry"
