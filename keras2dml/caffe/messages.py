"""The protobuf messages of Caffe 1.0's files, as a table that `schema` turns into classes."""

from __future__ import annotations

# One message per line: its name, then fields as `number:name:type`. `*` is a repeated field, `+` a
# repeated and packed one, `=` gives the default. A `!` before a name marks a field that would
# change the computation and is not compiled: a file that sets it to a value other than its default
# is refused. Settings are doubles here and floats in Caffe, so that 0.01 in a text is 0.01; only
# the blobs of a `.caffemodel` are read.
MESSAGES = """
BlobShape 1:dim:int64+
BlobProto 1:num:int32 2:channels:int32 3:height:int32 4:width:int32 5:data:float+ 7:shape:BlobShape 8:double_data:double+
Filler 1:type:string=constant 2:value:double=0 3:min:double=0 4:max:double=1 5:mean:double=0 6:std:double=1 7:sparse:int32=-1 8:variance_norm:VarianceNorm
State 1:phase:Phase=TEST 2:level:int32=0 3:stage:string*
Rule 1:phase:Phase 2:min_level:int32 3:max_level:int32 4:stage:string* 5:not_stage:string*
Net 1:name:string 2:layers:V1Layer* 3:input:string* 4:input_dim:int32* 5:force_backward:bool 6:state:State 7:debug_info:bool 8:input_shape:BlobShape* 100:layer:Layer*
ParamSpec 1:name:string 2:!share_mode:ShareMode 3:lr_mult:double=1 4:decay_mult:double=1
Layer 1:name:string 2:type:string 3:bottom:string* 4:top:string* 5:loss_weight:double* 6:param:ParamSpec* 7:!blobs:BlobProto* 8:include:Rule* 9:exclude:Rule* 10:phase:Phase 11:propagate_down:bool* 100:transform_param:Transformation 101:loss_param:Loss 102:accuracy_param:Accuracy 103:argmax_param:ArgMax 104:concat_param:Concat 105:contrastive_loss_param:ContrastiveLoss 106:convolution_param:Convolution 107:data_param:Data 108:dropout_param:Dropout 109:dummy_data_param:DummyData 110:eltwise_param:Eltwise 111:exp_param:Exp 112:hdf5_data_param:HDF5Data 113:hdf5_output_param:HDF5Output 114:hinge_loss_param:HingeLoss 115:image_data_param:ImageData 116:infogain_loss_param:InfogainLoss 117:inner_product_param:InnerProduct 118:lrn_param:LRN 119:memory_data_param:MemoryData 120:mvn_param:MVN 121:pooling_param:Pooling 122:power_param:Power 123:relu_param:ReLU 124:sigmoid_param:Engine 125:softmax_param:Softmax 126:slice_param:Slice 127:tanh_param:Engine 128:threshold_param:Threshold 129:window_data_param:WindowData 130:python_param:Python 131:prelu_param:PReLU 132:spp_param:SPP 133:reshape_param:Reshape 134:log_param:Log 135:flatten_param:Flatten 136:reduction_param:Reduction 137:embed_param:Embed 138:tile_param:Tile 139:batch_norm_param:BatchNorm 140:elu_param:ELU 141:bias_param:Bias 142:scale_param:Scale 143:input_param:Input 144:crop_param:Crop 145:parameter_param:Parameter 146:recurrent_param:Recurrent 147:swish_param:Swish 148:clip_param:Clip 1147:upsample_param:Upsample 1148:padding_param:Padding
Transformation 1:scale:double=1 2:mirror:bool 3:crop_size:uint32=0 4:mean_file:string 5:mean_value:double* 6:force_color:bool 7:force_gray:bool
Loss 1:!ignore_label:int32 2:normalize:bool 3:normalization:Normalization=VALID
Accuracy 1:top_k:uint32=1 2:axis:int32=1 3:!ignore_label:int32
ArgMax 1:out_max_val:bool 2:top_k:uint32=1 3:axis:int32
Bias 1:axis:int32=1 2:num_axes:int32=1 3:filler:Filler
Clip 1:min:double 2:max:double
Concat 1:concat_dim:uint32=1 2:axis:int32=1
ContrastiveLoss 1:margin:double=1 2:legacy_version:bool
Convolution 1:num_output:uint32 2:bias_term:bool=true 3:pad:uint32* 4:kernel_size:uint32* 5:group:uint32=1 6:stride:uint32* 7:weight_filler:Filler 8:bias_filler:Filler 9:pad_h:uint32 10:pad_w:uint32 11:kernel_h:uint32 12:kernel_w:uint32 13:stride_h:uint32 14:stride_w:uint32 15:engine:EngineKind 16:!axis:int32=1 17:force_nd_im2col:bool 18:dilation:uint32*
Crop 1:axis:int32=2 2:offset:uint32*
Data 1:source:string 2:scale:double=1 3:mean_file:string 4:batch_size:uint32 5:crop_size:uint32=0 6:mirror:bool 7:rand_skip:uint32 8:backend:Backend 9:force_encoded_color:bool 10:prefetch:uint32=4
Dropout 1:dropout_ratio:double=0.5
DummyData 1:data_filler:Filler* 2:num:uint32* 3:channels:uint32* 4:height:uint32* 5:width:uint32* 6:shape:BlobShape*
Eltwise 1:operation:EltwiseOp=SUM 2:coeff:double* 3:stable_prod_grad:bool=true
ELU 1:alpha:double=1
Embed 1:num_output:uint32 2:input_dim:uint32 3:bias_term:bool=true 4:weight_filler:Filler 5:bias_filler:Filler
Exp 1:base:double=-1 2:scale:double=1 3:shift:double=0
Flatten 1:axis:int32=1 2:end_axis:int32=-1
HDF5Data 1:source:string 2:batch_size:uint32 3:shuffle:bool
HDF5Output 1:file_name:string
HingeLoss 1:norm:HingeNorm=L1
ImageData 1:source:string 2:scale:double=1 3:mean_file:string 4:batch_size:uint32=1 5:crop_size:uint32=0 6:mirror:bool 7:rand_skip:uint32 8:shuffle:bool 9:new_height:uint32=0 10:new_width:uint32=0 11:is_color:bool=true 12:root_folder:string
InfogainLoss 1:source:string 2:axis:int32=1
InnerProduct 1:num_output:uint32 2:bias_term:bool=true 3:weight_filler:Filler 4:bias_filler:Filler 5:axis:int32=1 6:transpose:bool
Input 1:shape:BlobShape*
Log 1:base:double=-1 2:scale:double=1 3:shift:double=0
LRN 1:local_size:uint32=5 2:alpha:double=1 3:beta:double=0.75 4:norm_region:NormRegion 5:k:double=1 6:engine:EngineKind
MemoryData 1:batch_size:uint32 2:channels:uint32 3:height:uint32 4:width:uint32
MVN 1:normalize_variance:bool=true 2:across_channels:bool 3:eps:double=0.000000001
Parameter 1:shape:BlobShape
Pooling 1:pool:PoolMethod 2:kernel_size:uint32 3:stride:uint32=1 4:pad:uint32=0 5:kernel_h:uint32 6:kernel_w:uint32 7:stride_h:uint32 8:stride_w:uint32 9:pad_h:uint32 10:pad_w:uint32 11:engine:EngineKind 12:global_pooling:bool 13:round_mode:RoundMode
Power 1:power:double=1 2:scale:double=1 3:shift:double=0
Python 1:module:string 2:layer:string 3:param_str:string 4:share_in_parallel:bool
PReLU 1:filler:Filler 2:channel_shared:bool
Recurrent 1:num_output:uint32 2:weight_filler:Filler 3:bias_filler:Filler 4:debug_info:bool 5:expose_hidden:bool
Reduction 1:operation:ReductionOp=SUM 2:axis:int32=0 3:coeff:double=1
ReLU 1:negative_slope:double=0 2:engine:EngineKind
Reshape 1:shape:BlobShape 2:axis:int32=0 3:num_axes:int32=-1
Engine 1:engine:EngineKind
Softmax 1:engine:EngineKind 2:axis:int32=1
SPP 1:pyramid_height:uint32 2:pool:PoolMethod 6:engine:EngineKind
Slice 1:slice_dim:uint32=1 2:slice_point:uint32* 3:axis:int32=1
Swish 1:beta:double=1
Threshold 1:threshold:double=0
Tile 1:axis:int32=1 2:tiles:int32
WindowData 1:source:string 2:scale:double=1 3:mean_file:string 4:batch_size:uint32 5:crop_size:uint32=0 6:mirror:bool 7:fg_threshold:double=0.5 8:bg_threshold:double=0.5 9:fg_fraction:double=0.25 10:context_pad:uint32=0 11:crop_mode:string=warp 12:cache_images:bool 13:root_folder:string
BatchNorm 1:use_global_stats:bool 2:moving_average_fraction:double=0.999 3:eps:double=0.00001
Scale 1:axis:int32=1 2:num_axes:int32=1 3:filler:Filler 4:bias_term:bool 5:bias_filler:Filler
Upsample 1:size_h:uint32=1 2:size_w:uint32=1
Padding 1:top_pad:uint32=0 2:bottom_pad:uint32=0 3:left_pad:uint32=0 4:right_pad:uint32=0
V0Layer
V1Layer 1:layer:V0Layer 2:bottom:string* 3:top:string* 4:name:string 5:type:LayerType 6:blobs:BlobProto* 7:blobs_lr:double* 8:weight_decay:double* 9:concat_param:Concat 10:convolution_param:Convolution 11:data_param:Data 12:dropout_param:Dropout 13:hdf5_data_param:HDF5Data 14:hdf5_output_param:HDF5Output 15:image_data_param:ImageData 16:infogain_loss_param:InfogainLoss 17:inner_product_param:InnerProduct 18:lrn_param:LRN 19:pooling_param:Pooling 20:window_data_param:WindowData 21:power_param:Power 22:memory_data_param:MemoryData 23:argmax_param:ArgMax 24:eltwise_param:Eltwise 25:threshold_param:Threshold 26:dummy_data_param:DummyData 27:accuracy_param:Accuracy 29:hinge_loss_param:HingeLoss 30:relu_param:ReLU 31:slice_param:Slice 32:include:Rule* 33:exclude:Rule* 34:mvn_param:MVN 35:loss_weight:double* 36:transform_param:Transformation 37:tanh_param:Engine 38:sigmoid_param:Engine 39:softmax_param:Softmax 40:contrastive_loss_param:ContrastiveLoss 41:exp_param:Exp 42:loss_param:Loss 1001:param:string* 1002:blob_share_mode:ShareMode*
Solver 1:train_net:string 2:test_net:string* 3:test_iter:int32* 4:test_interval:int32 5:base_lr:double 6:display:int32 7:max_iter:int32 8:lr_policy:string=fixed 9:gamma:double 10:power:double 11:momentum:double 12:weight_decay:double 13:stepsize:int32 14:snapshot:int32 15:snapshot_prefix:string 16:snapshot_diff:bool 17:solver_mode:SolverMode=GPU 18:device_id:int32 19:test_compute_loss:bool 20:random_seed:int64=-1 21:train_net_param:Net 22:test_net_param:Net* 23:debug_info:bool 24:net:string 25:net_param:Net 26:train_state:State 27:test_state:State* 28:snapshot_after_train:bool=true 29:regularization_type:string=L2 30:solver_type:SolverType 31:delta:double=0.00000001 32:test_initialization:bool=true 33:average_loss:int32=1 34:stepvalue:int32* 35:clip_gradients:double=-1 36:iter_size:int32=1 37:snapshot_format:SnapshotFormat=BINARYPROTO 38:rms_decay:double=0.99 39:momentum2:double=0.999 40:type:string=SGD 41:layer_wise_reduce:bool=true 42:weights:string*
"""  # noqa: E501

# The values of each enumeration, numbered from 0 unless they have a number.
ENUMS = {
    "Phase": "TRAIN TEST",
    "EngineKind": "DEFAULT CAFFE CUDNN",
    "Backend": "LEVELDB LMDB",
    "EltwiseOp": "PROD SUM MAX",
    "PoolMethod": "MAX AVE STOCHASTIC",
    "RoundMode": "CEIL FLOOR",
    "NormRegion": "ACROSS_CHANNELS WITHIN_CHANNEL",
    "VarianceNorm": "FAN_IN FAN_OUT AVERAGE",
    "ShareMode": "STRICT PERMISSIVE",
    "HingeNorm": "L1:1 L2:2",
    "ReductionOp": "SUM:1 ASUM:2 SUMSQ:3 MEAN:4",
    "SolverMode": "CPU GPU",
    "SolverType": "SGD NESTEROV ADAGRAD RMSPROP ADADELTA ADAM",
    "SnapshotFormat": "HDF5 BINARYPROTO",
    "Normalization": "FULL VALID BATCH_SIZE NONE",
    "LayerType": "NONE ACCURACY BNLL CONCAT CONVOLUTION DATA DROPOUT EUCLIDEAN_LOSS FLATTEN"
    " HDF5_DATA HDF5_OUTPUT IM2COL IMAGE_DATA INFOGAIN_LOSS INNER_PRODUCT LRN"
    " MULTINOMIAL_LOGISTIC_LOSS POOLING RELU SIGMOID SOFTMAX SOFTMAX_LOSS SPLIT TANH WINDOW_DATA"
    " ELTWISE POWER SIGMOID_CROSS_ENTROPY_LOSS HINGE_LOSS MEMORY_DATA ARGMAX THRESHOLD DUMMY_DATA"
    " SLICE MVN ABSVAL SILENCE CONTRASTIVE_LOSS EXP DECONVOLUTION",
}
