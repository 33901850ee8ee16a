import { eventSubjects, type IAdapterChanged } from '@atelier/contracts';
import { isStoreFull, publishEvent, type Mesh } from '@atelier/mesh';

/** Says what became of an adapter. In a full store, which deletes too, nobody is told. */
export async function tellAdapter(
  mesh: Mesh,
  change: IAdapterChanged & { name: string },
  msgId?: string,
): Promise<void> {
  try {
    await publishEvent(mesh, eventSubjects.adapter(change.name), { adapterChanged: change }, { msgId });
  } catch (error) {
    if (!isStoreFull(error)) throw error;
  }
}
