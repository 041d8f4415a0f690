"""The messages of Caffe's files, with the fields that are honoured or harmless; a file that sets
another one is refused by the field's name.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.message import DecodeError

from keras2dml.errors import InvalidData

# A message a line: its name, then fields as `number:name:type`. `*` repeats a field, `+` packs it
# besides, `=` gives its default. Settings are doubles here, floats in Caffe, so that 0.01 in a
# text is 0.01; of a `.caffemodel` only the blobs are looked at.
MESSAGES = """
BlobShape 1:dim:int64+
BlobProto 1:num:int32 2:channels:int32 3:height:int32 4:width:int32 5:data:float+ 7:shape:BlobShape 8:double_data:double+
Filler 1:type:string=constant 2:value:double=0 3:min:double=0 4:max:double=1 5:mean:double=0 6:std:double=1
V1Layer
Net 1:name:string 2:layers:V1Layer* 3:input:string* 4:input_dim:int32* 8:input_shape:BlobShape* 100:layer:Layer*
Rule 1:phase:Phase
ParamSpec 1:name:string 3:lr_mult:double=1 4:decay_mult:double=1
Layer 1:name:string 2:type:string 3:bottom:string* 4:top:string* 5:loss_weight:double* 6:param:ParamSpec* 7:blobs:BlobProto* 8:include:Rule* 9:exclude:Rule* 10:phase:Phase 101:loss_param:Loss 102:accuracy_param:Accuracy 104:concat_param:Concat 106:convolution_param:Convolution 107:data_param:Data 108:dropout_param:Dropout 110:eltwise_param:Eltwise 117:inner_product_param:InnerProduct 119:memory_data_param:MemoryData 121:pooling_param:Pooling 123:relu_param:ReLU 124:sigmoid_param:Engine 125:softmax_param:Softmax 127:tanh_param:Engine 128:threshold_param:Threshold 135:flatten_param:Flatten 139:batch_norm_param:BatchNorm 142:scale_param:Scale 143:input_param:Input 147:upsample_param:Upsample 148:padding_param:Padding
Loss 3:normalization:Normalization
Accuracy 1:top_k:uint32=1
Concat 2:axis:int32=1
Convolution 1:num_output:uint32 2:bias_term:bool=true 3:pad:uint32* 4:kernel_size:uint32* 5:group:uint32=1 6:stride:uint32* 7:weight_filler:Filler 8:bias_filler:Filler 9:pad_h:uint32 10:pad_w:uint32 11:kernel_h:uint32 12:kernel_w:uint32 13:stride_h:uint32 14:stride_w:uint32 15:engine:EngineKind 18:dilation:uint32*
Data 1:source:string 4:batch_size:uint32 8:backend:Backend
Dropout 1:dropout_ratio:double=0.5
Eltwise 1:operation:EltwiseOp=SUM 2:coeff:double*
InnerProduct 1:num_output:uint32 2:bias_term:bool=true 3:weight_filler:Filler 4:bias_filler:Filler
Input 1:shape:BlobShape*
MemoryData 1:batch_size:uint32 2:channels:uint32 3:height:uint32 4:width:uint32
Pooling 1:pool:PoolMethod 2:kernel_size:uint32 3:stride:uint32=1 4:pad:uint32=0 5:kernel_h:uint32 6:kernel_w:uint32 7:stride_h:uint32 8:stride_w:uint32 9:pad_h:uint32 10:pad_w:uint32 11:engine:EngineKind 12:global_pooling:bool
ReLU 1:negative_slope:double=0 2:engine:EngineKind
Engine 1:engine:EngineKind
Softmax 1:engine:EngineKind 2:axis:int32=1
Threshold 1:threshold:double=0
Flatten 1:axis:int32=1 2:end_axis:int32=-1
BatchNorm 1:use_global_stats:bool 2:moving_average_fraction:double=0.999 3:eps:double=0.00001
Scale 1:axis:int32=1 2:num_axes:int32=1 3:filler:Filler 4:bias_term:bool 5:bias_filler:Filler
Upsample 1:size_h:uint32=1 2:size_w:uint32=1
Padding 1:top_pad:uint32=0 2:bottom_pad:uint32=0 3:left_pad:uint32=0 4:right_pad:uint32=0
Solver 1:train_net:string 3:test_iter:int32* 4:test_interval:int32 5:base_lr:double 6:display:int32 7:max_iter:int32 8:lr_policy:string=fixed 9:gamma:double 10:power:double 11:momentum:double 12:weight_decay:double 13:stepsize:int32 14:snapshot:int32 15:snapshot_prefix:string 17:solver_mode:SolverMode 20:random_seed:int64=-1 24:net:string 29:regularization_type:string=L2 31:delta:double=0.00000001 33:average_loss:int32 34:stepvalue:int32* 35:clip_gradients:double=-1 36:iter_size:int32=1 38:rms_decay:double=0.99 39:momentum2:double=0.999 40:type:string=SGD
"""  # noqa: E501
ENUMS = {
    "Phase": ("TRAIN", "TEST"),
    "EngineKind": ("DEFAULT", "CAFFE", "CUDNN"),
    "Backend": ("LEVELDB", "LMDB"),
    "EltwiseOp": ("PROD", "SUM", "MAX"),
    "PoolMethod": ("MAX", "AVE", "STOCHASTIC"),
    "SolverMode": ("CPU", "GPU"),
    "Normalization": ("FULL", "VALID", "BATCH_SIZE", "NONE"),
}
_V1 = re.compile(r"^\s*layers\s*[:{]", re.MULTILINE)
_UPGRADE = "upgrade it with Caffe's tools upgrade_net_proto_text or upgrade_net_proto_binary"


@cache
def message(name: str) -> Any:
    """The class of a message."""
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"caffe.{name}"))


def parsed(path: Path, name: str) -> Any:
    """The message in a text file; InvalidData if it has another field or is no such file."""
    text = _content(path).decode("utf-8", errors="replace")
    if _V1.search(text):
        raise _old(path)
    try:
        return text_format.Parse(text, message(name)())
    except text_format.ParseError as error:
        told = (
            f"{path} is not read: {error}. Known are the fields that change nothing else than"
            " what is compiled: leave others out, or mend the line."
        )
        raise InvalidData(told) from error


def weights(path: Path) -> dict[str, list[Any]]:
    """The blobs of each layer in a `.caffemodel`."""
    try:
        net = message("Net").FromString(_content(path))
    except DecodeError as error:
        told = f"{path} holds no weights of Caffe ({error}): give a .caffemodel."
        raise InvalidData(told) from error
    if len(net.layers):
        raise _old(path)
    return {layer.name: list(layer.blobs) for layer in net.layer if len(layer.blobs)}


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        told = f"{path} cannot be read ({error.strerror}): give the path of a file of Caffe."
        raise InvalidData(told) from error


def _old(path: Path) -> InvalidData:
    return InvalidData(f"{path} has the old 'layers'. Read are 'layer': {_UPGRADE}.")


def _file() -> descriptor_pb2.FileDescriptorProto:
    """The description of all messages and enumerations."""
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    for name, values in ENUMS.items():
        # Inside a message, where its values may have the names of another one's.
        kind = file.message_type.add(name=f"{name}Values").enum_type.add(name=name)
        for number, value in enumerate(values):
            kind.value.add(name=value, number=number)
    for line in MESSAGES.strip().splitlines():
        name, *fields = line.split()
        described = file.message_type.add(name=name)
        for field in fields:
            _field(described, field)
    return file


def _field(described: descriptor_pb2.DescriptorProto, text: str) -> None:
    number, name, kind = text.split(":")
    kind, _, default = kind.partition("=")
    bare = kind.rstrip("*+")
    proto = descriptor_pb2.FieldDescriptorProto
    added = described.field.add(name=name, number=int(number))
    added.label = proto.LABEL_OPTIONAL if bare == kind else proto.LABEL_REPEATED
    added.options.packed = kind.endswith("+")
    if bare in ENUMS:
        added.type, added.type_name = proto.TYPE_ENUM, f".caffe.{bare}Values.{bare}"
    elif bare[0].isupper():
        added.type, added.type_name = proto.TYPE_MESSAGE, f".caffe.{bare}"
    else:
        added.type = getattr(proto, f"TYPE_{bare.upper()}")
    if default:
        added.default_value = default
