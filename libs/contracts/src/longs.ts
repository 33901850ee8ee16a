// 64-bit fields as plain numbers: sizes, seeds and counts stay below 2^53, and a number compares and prints like one. Imported before
// the generated classes, which look for Long when they load.
import * as protobuf from 'protobufjs/minimal';

(protobuf.util as { Long: unknown }).Long = undefined;
protobuf.configure();
