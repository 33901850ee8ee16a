// Finds and loads the native addon, once a process.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { NativeAddon } from './addon';
import { EngineError } from './errors';

// The same from src/ (tests) and from dist/.
const REPOSITORY = join(__dirname, '..', '..', '..');

let loaded: NativeAddon | undefined;

/** The native addon. @throws EngineError FAILED_PRECONDITION saying what was tried and how to build it */
export function addon(): NativeAddon {
  loaded ??= load();
  return loaded;
}

/** Why there is no addon here; nothing where there is one. For those who can do without. */
export function missingAddon(): EngineError | undefined {
  try {
    addon();
    return undefined;
  } catch (error) {
    return error as EngineError;
  }
}

/** Where the addon may be: ATELIER_ADDON_PATH alone when it is set, else where the build leaves it. */
export function addonPaths(env: NodeJS.ProcessEnv = process.env): string[] {
  return env.ATELIER_ADDON_PATH
    ? [env.ATELIER_ADDON_PATH]
    : [join(REPOSITORY, 'native', 'build', 'addon', 'atelier.node')];
}

function load(): NativeAddon {
  const tried: string[] = [];
  for (const path of addonPaths()) {
    if (!existsSync(path)) {
      tried.push(`${path}: does not exist`);
      continue;
    }
    try {
      const holder: { exports: unknown } = { exports: {} };
      process.dlopen(holder, path);
      return holder.exports as NativeAddon;
    } catch (error) {
      tried.push(`${path}: ${(error as Error).message}`);
    }
  }
  throw new EngineError(
    'FAILED_PRECONDITION',
    `The native engine cannot be loaded (${process.platform} ${process.arch}, Node ${process.version}). Tried:\n  ${tried.join('\n  ')}\n${remedy()}`,
  );
}

function remedy(): string {
  if (process.env.ATELIER_ADDON_PATH)
    return 'Unset ATELIER_ADDON_PATH to use the built one, or point it to an atelier.node built for this Node and system.';
  if (process.platform !== 'linux') return 'The engine builds on Linux only so far; run it there or in a container.';
  return 'Build it with `npm run setup`. It needs CMake 3.25, g++ 12 or newer and nlohmann-json3-dev, and installs them on Debian.';
}
