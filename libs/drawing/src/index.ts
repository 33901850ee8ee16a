export { ModelHost, type ModelHostOptions, type Models } from './model-host';
export { drawPicture, encodePicture, toPixels, type PictureFormat, type PictureRequest } from './picture';
export { decodePromptEmbeds, PromptSource, type PromptEmbeds } from './prompt-embeds';
export { weightFileBytes } from './weight-file-bytes';
