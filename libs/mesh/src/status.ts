import { StatusReply, StatusRequest, type IStatusReply } from '@atelier/contracts';
import { Controller, Inject, Injectable, type Type } from '@nestjs/common';
import { Rpc } from './rpc';

/** What a service says of itself when asked; a service sets it as it goes. */
@Injectable()
export class ServiceStatus {
  ready = true;
  detail = '';
}

/** A controller that answers rpc.<name>.status. Made per service, since Nest patterns are fixed when a class is decorated. */
export function statusController(name: string, version: string): Type {
  @Controller()
  class StatusController {
    constructor(@Inject(ServiceStatus) private readonly status: ServiceStatus) {}

    @Rpc(name, 'status', StatusRequest, StatusReply)
    answer(): IStatusReply {
      return { service: name, version, ready: this.status.ready, detail: this.status.detail };
    }
  }
  return StatusController;
}
