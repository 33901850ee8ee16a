export { drawPicture, encodePicture, toPixels, type PictureFormat, type PictureRequest } from './picture';
export { decodePromptEmbeds, PromptSource, type PromptEmbeds } from './prompt-embeds';
