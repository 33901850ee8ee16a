import { AtelierError } from '@atelier/contracts';
import { connect, Events, type JetStreamClient, type JetStreamManager, type NatsConnection } from 'nats';
import { failRequests, losesRequests } from './lost-requests';
import { StoreRoom } from './store-room';

export interface MeshConfig {
  /** nats://host:port, or several separated by commas. */
  url: string;
  /** Shown by nats-server beside the connection. */
  name: string;
}

/** One connection to the mesh and what is made of it. It reconnects for ever: streams are on disk, nothing is lost meanwhile. */
export class Mesh {
  /** What the store behind it still takes. */
  readonly room: StoreRoom;
  private lost = 0;

  private constructor(
    readonly nc: NatsConnection,
    readonly js: JetStreamClient,
    readonly jsm: JetStreamManager,
  ) {
    this.room = new StoreRoom(nc, jsm);
    void this.watch();
  }

  /** How often the connection was lost since it was made. */
  get interruptions(): number {
    return this.lost;
  }

  static async connect({ url, name }: MeshConfig): Promise<Mesh> {
    let nc: NatsConnection | undefined;
    try {
      nc = await connect({
        servers: url.split(','),
        name,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 250,
        reconnectJitter: 100,
        maxPingOut: 3,
        pingInterval: 20_000,
      });
      return new Mesh(nc, nc.jetstream({ timeout: 20_000 }), await nc.jetstreamManager({ timeout: 20_000 }));
    } catch (error) {
      await nc?.close().catch(() => undefined); // it would go on reconnecting for ever
      throw new AtelierError(
        'UNAVAILABLE',
        `no mesh at ${url}: ${(error as Error).message}. Start it with "atelier up", or set ATELIER_NATS_URL`,
        {},
        { cause: error },
      );
    }
  }

  private async watch(): Promise<void> {
    for await (const status of this.nc.status()) {
      if (status.type === Events.Disconnect) this.lost++;
      if (losesRequests(status)) failRequests(this.nc);
    }
  }

  /** Delivers what is in flight, then closes. A connection that is down is closed at once. */
  async close(): Promise<void> {
    if (this.nc.isClosed()) return;
    const drained = this.nc.drain().catch(() => undefined);
    const given = new Promise<void>((resolve) => setTimeout(resolve, 3000).unref());
    await Promise.race([drained, given]);
    if (!this.nc.isClosed()) await this.nc.close();
  }
}
