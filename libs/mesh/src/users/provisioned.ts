import { AtelierError, type MeshUser } from '@atelier/contracts';
import type { Mesh } from '../mesh';
import { isNotFound } from '../nats-errors';
import { permissionsOf } from './permissions';

const INFO = '$JS.API.STREAM.INFO.';

/** Throws UNAVAILABLE while a stream or a bucket is missing that the user has to do with. */
export async function requireProvisioned({ jsm }: Mesh, user: MeshUser): Promise<void> {
  const subjects = permissionsOf(user)?.publish.filter((subject) => subject.startsWith(INFO)) ?? [];
  for (const stream of subjects.map((subject) => subject.slice(INFO.length))) {
    try {
      await jsm.streams.info(stream);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      throw new AtelierError(
        'UNAVAILABLE',
        `stream ${stream} is not there yet: user ${user} makes none, "atelier provision" does`,
      );
    }
  }
}
