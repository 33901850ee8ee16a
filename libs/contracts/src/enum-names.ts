// Enums of proto/ by the names that people write and that 0.1.0 sent as text: PICTURE_FORMAT_PNG is png.
import { AdapterFormat, BaseQuant, CropKind, EncodedKind, PictureFormat } from './messages';
import type { IEncodeFailed, IEncodeReady, IGenerateWork, ITransform } from './messages';

type Values = Record<string, string | number>;
type NameOf<Member, Prefix extends string> = Member extends `${Prefix}_${infer Rest}`
  ? Lowercase<Exclude<Rest, 'UNSPECIFIED'>>
  : never;

export interface EnumNames<Name extends string, Value> {
  readonly names: readonly Name[];
  valueOf(name: Name): Value;
  /**
   * What a message says: the enum's name, or else the text that 0.1.0 wrote, whatever it is; undefined where it says neither. A
   * value that this version does not know reads as its number.
   */
  read(value: Value | null | undefined, text?: string | null): string | undefined;
}

/** @param prefix of the enum's members: PICTURE_FORMAT */
export function enumNames<Members extends Values, Prefix extends string>(
  members: Members,
  prefix: Prefix,
): EnumNames<NameOf<keyof Members, Prefix>, Members[keyof Members]> {
  type Name = NameOf<keyof Members, Prefix>;
  type Value = Members[keyof Members];
  const entries = Object.entries(members).filter(([, value]) => typeof value === 'number' && value !== 0);
  const byName = new Map(entries.map(([member, value]) => [member.slice(prefix.length + 1).toLowerCase(), value]));
  const byValue = new Map([...byName].map(([name, value]) => [value as Value, name]));
  return {
    names: [...byName.keys()] as Name[],
    valueOf: (name) => byName.get(name) as Value,
    read: (value, text) => (value ? (byValue.get(value) ?? String(value)) : (text ?? undefined) || undefined),
  };
}

const formats = enumNames(PictureFormat, 'PICTURE_FORMAT');
export type PictureFormatName = (typeof formats.names)[number];
export const pictureFormats = formats.names;

/** Of a request to draw; what it says may be no format at all. */
export function pictureFormatOf({ pictureFormat, format }: IGenerateWork): string {
  return formats.read(pictureFormat, format) ?? 'png';
}

/** Both fields, for a message that a service of 0.1.0 may read. */
export function pictureFormatFields(name: PictureFormatName): Pick<IGenerateWork, 'format' | 'pictureFormat'> {
  return { format: name, pictureFormat: formats.valueOf(name) };
}

const kinds = enumNames(EncodedKind, 'ENCODED_KIND');
export type EncodedKindName = (typeof kinds.names)[number];

/** Whether an event tells of latents or of prompts. */
export function encodedKindOf({ encoded, kind }: IEncodeReady | IEncodeFailed): string {
  return kinds.read(encoded, kind) ?? '';
}

/** Both fields, for a message that a reader of 0.1.0 may follow. */
export function encodedKindFields(name: EncodedKindName): Pick<IEncodeReady, 'kind' | 'encoded'> {
  return { kind: name, encoded: kinds.valueOf(name) };
}

const cropKinds = enumNames(CropKind, 'CROP_KIND');
export type CropName = (typeof cropKinds.names)[number];
export const crops = cropKinds.names;

/** Of a data set; what it says may be no crop at all. */
export function cropOf({ cropKind, crop }: ITransform): string {
  return cropKinds.read(cropKind, crop) ?? 'center';
}

/** Both fields, for a data set that an ingest service of 0.1.0 may read. */
export function cropFields(name: CropName): Pick<ITransform, 'crop' | 'cropKind'> {
  return { crop: name, cropKind: cropKinds.valueOf(name) };
}

// These two no message says as text: a drawing's weights are the service's own setting, a file's keys the reader's wish.
export const baseQuants = enumNames(BaseQuant, 'BASE_QUANT').names;

const keyNames = enumNames(AdapterFormat, 'ADAPTER_FORMAT');
export type AdapterFormatName = (typeof keyNames.names)[number];
export const adapterFormats = keyNames.names;
