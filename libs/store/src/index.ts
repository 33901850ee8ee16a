export { EncodeRefused, TensorArrivals } from './arrivals';
export { BlobStore, type BlobInfo } from './blobs';
export { StateStore, type Stored } from './state';
export { TensorStore } from './tensors';
