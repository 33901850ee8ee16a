/** No more files or sockets may be opened, by this process or on this machine. */
export function isOutOfHandles(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EMFILE' || code === 'ENFILE';
}

export const NO_HANDLES = 'no file handles are left: raise their number (ulimit -n), or end what holds so many';
