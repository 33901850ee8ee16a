import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import type { Response } from 'express';
import { GatewayConfig } from '../gateway.config';
import { TooManyRequests } from '../http-error';

const RETRY_SECONDS = 5;

/** For routes that take files: no more of them at once than the settings say. */
@Injectable()
export class UploadGuard implements CanActivate {
  private underWay = 0;

  constructor(private readonly config: GatewayConfig) {}

  canActivate(context: ExecutionContext): boolean {
    const { uploads } = this.config;
    if (this.underWay >= uploads)
      throw new TooManyRequests(
        `${uploads} uploads are under way: try again in ${RETRY_SECONDS} s, or raise ATELIER_UPLOADS`,
        RETRY_SECONDS,
      );
    const response = context.switchToHttp().getResponse<Response>();
    if (response.closed) return true; // it left already, and nothing more will be heard of it
    this.underWay++;
    response.once('close', () => this.underWay--);
    return true;
  }
}
