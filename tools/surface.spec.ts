// The check of the native surface on sources made for it: what it finds different, and that it says where.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const table = (...rows: string[]) =>
  `constexpr Export exported[] = {\n${rows.map((row) => `    {${row}},\n`).join('')}};\n`;
const SURFACE = 'native/addon/surface.cpp';
const ADAPTER = 'native/addon/adapter.cpp';
const FACE = 'libs/engine/src/addon.ts';
const HEADER = 'native/include/atelier/adapter.h';
const SOUND: Record<string, string> = {
  [SURFACE]: table('"saveAdapter", save_adapter'),
  [ADAPTER]: `Napi::Value save_adapter(const Napi::CallbackInfo& info) {
    auto& adapter = handle_of<const Adapter>(info[0], "adapter");
    return start(
        info[0], adapter, info[3],
        [adapter = adapter.object, file = text(info[1], "file"), format = named<AdapterFormat>(info[2], "format")](
            const EngineProgress&) {
            adapter->save(file, format);
            return Nothing{};
        },
        undefined);
}
`,
  [FACE]:
    'export interface NativeAddon {\n  saveAdapter(adapter: AdapterHandle, file: string, format: Format, call?: NativeCall): Promise<void>;\n}\n',
  [HEADER]:
    'class Adapter {\npublic:\n    void save(const std::string& file, AdapterFormat) const; // whole or not at all\n};\n',
  'native/src/base/error.cpp': '        case ErrorCode::corrupt: return "DATA_LOSS";\n',
  'proto/atelier/v1/common.proto': 'enum StatusCode {\n  STATUS_CODE_DATA_LOSS = 15;\n}\n',
  'native/addon/testing/module.cpp': table('"nf4Code", nf4_code'),
  'native/addon/testing/pieces.cpp':
    'Napi::Value nf4_code(const Napi::CallbackInfo& info) {\n    return to_js(info.Env(), testing::nf4_code());\n}\n',
  'native/include/atelier/testing.h': 'std::vector<float> nf4_code(); // 16\n',
  'test/parity/src/testing-addon.ts': 'export interface TestingAddon {\n  nf4Code(): Float32Array;\n}\n',
};
const OTHER_HEADERS = ['checkpoint', 'device', 'plan', 'sampler', 'text', 'trainer', 'transformer', 'vae'];

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'atelier-surface-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** What the check finds, but for the addons, which nobody builds here. */
function differences(changed: Record<string, string> = {}): string[] {
  const empty = Object.fromEntries(OTHER_HEADERS.map((name) => [`native/include/atelier/${name}.h`, '']));
  for (const [file, text] of Object.entries({ ...empty, ...SOUND, ...changed })) {
    mkdirSync(join(root, dirname(file)), { recursive: true });
    writeFileSync(join(root, file), text);
  }
  const env = { ...process.env, ATELIER_ADDON_PATH: '' };
  const { stderr } = spawnSync(process.execPath, [join(__dirname, 'check-surface.mjs'), root], {
    encoding: 'utf8',
    env,
  });
  return stderr.split('\n').filter((line) => line && !line.includes('is not built'));
}

const replaced = (file: string, what: string | RegExp, by: string) => ({ [file]: SOUND[file]!.replace(what, by) });

test('finds nothing where all say the same', () => {
  expect(differences()).toEqual([]);
});

test.each<[string, Record<string, string>, RegExp]>([
  [
    'a function that the table lacks',
    { [SURFACE]: table('"loadAdapter", save_adapter') },
    /saveAdapter is missing in native\/addon\/surface\.cpp/,
  ],
  [
    'a function that TypeScript lacks',
    replaced(FACE, 'saveAdapter', 'storeAdapter'),
    /saveAdapter is missing in NativeAddon in libs\/engine/,
  ],
  [
    'a function without a definition',
    replaced(ADAPTER, 'save_adapter', 'store_adapter'),
    /save_adapter is not defined/,
  ],
  [
    'another number of parameters',
    replaced(FACE, ', format: Format', ''),
    /saveAdapter reads 4 arguments in C\+\+, libs\/engine\/src\/addon\.ts says 3/,
  ],
  ['another name', replaced(FACE, 'file: string', 'path: string'), /argument 1 is "file" in C\+\+ and "path"/],
  ['another type', replaced(ADAPTER, 'text(info[1]', 'count(info[1]'), /file is read as number in C\+\+ and is text/],
  [
    'another kind of object',
    replaced(FACE, 'AdapterHandle', 'VaeHandle'),
    /handle of Adapter in C\+\+ and is handle of Vae/,
  ],
  [
    'a call that cannot be cancelled',
    replaced(FACE, 'call?: NativeCall', 'call: string'),
    /call must be what may be added/,
  ],
  [
    'a declaration that nobody calls',
    replaced(HEADER, 'public:', 'public:\n    void load(const std::string& file);'),
    /adapter\.h declares load, which native\/addon never calls/,
  ],
  [
    'a call with another number of arguments',
    replaced(HEADER, 'AdapterFormat)', 'AdapterFormat, bool sync)'),
    /calls save with 2 arguments, adapter\.h declares 3/,
  ],
  [
    'a code that is none',
    replaced('native/src/base/error.cpp', 'DATA_LOSS', 'CORRUPT'),
    /error\.cpp: CORRUPT is no StatusCode of proto/,
  ],
  [
    "the same of the tests' addon",
    replaced('native/include/atelier/testing.h', 'nf4_code()', 'nf4_code(bool is_signed)'),
    /calls nf4_code with 0 arguments, testing\.h declares 1/,
  ],
])('finds %s', (_, changed, what) => {
  expect(differences(changed).join('\n')).toMatch(what);
});

test('takes an argument with a default for one that may be left out', () => {
  expect(differences(replaced(HEADER, 'AdapterFormat)', 'AdapterFormat, bool sync = true)'))).toEqual([]);
});
