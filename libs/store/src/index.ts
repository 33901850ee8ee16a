export { askForLatents, askForPrompts } from './ask-encoders';
export { AdapterStore, type AdapterFacts, type AdapterPutOptions, type AdapterStoreOptions } from './adapters';
export { EncodeRefused, TensorArrivals } from './arrivals';
export { BlobStore, type BlobInfo } from './blobs';
export { Encodings, type EncodeJob } from './encodings';
export { isJunk, StateStore, type Stored } from './state';
export {
  clearLoose,
  clearTensor,
  surveyBucket,
  surveyTensors,
  type BucketSurvey,
  type LooseChunks,
  type SurveyedObject,
  type SurveyedTensor,
} from './survey';
export { StateWatch } from './state-watch';
export { TensorStore } from './tensors';
