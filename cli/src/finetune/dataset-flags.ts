// What the flags of pictures that are uploaded say, wherever they are given.
export const TRIGGER_HELP =
  'phrase in front of captions that do not hold it as whole words, and the caption of pictures without one';
export const CAPTION_COLUMN_HELP =
  'column of a .parquet or metadata file, or field of .json files, that holds the captions';
