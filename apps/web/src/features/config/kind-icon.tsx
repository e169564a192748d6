import {
  IconArrowsSplit,
  IconBox,
  IconCertificate,
  IconCube,
  IconDoorEnter,
  IconFilter,
  IconFolder,
  IconKey,
  IconLock,
  IconShieldCheck,
  IconStack2,
  IconWorld,
} from '@tabler/icons-react';
import type { ComponentType } from 'react';

interface IconProps {
  size?: number;
  stroke?: number;
}
const ICONS: Readonly<Record<string, ComponentType<IconProps>>> = {
  VirtualService: IconArrowsSplit,
  DestinationRule: IconStack2,
  Gateway: IconDoorEnter,
  KubernetesGateway: IconDoorEnter,
  HTTPRoute: IconArrowsSplit,
  GRPCRoute: IconArrowsSplit,
  TCPRoute: IconArrowsSplit,
  TLSRoute: IconArrowsSplit,
  BackendTLSPolicy: IconCertificate,
  Ingress: IconDoorEnter,
  PeerAuthentication: IconShieldCheck,
  RequestAuthentication: IconKey,
  AuthorizationPolicy: IconLock,
  Namespace: IconFolder,
  Service: IconBox,
  ServiceEntry: IconWorld,
  WorkloadEntry: IconCube,
  Secret: IconCertificate,
  EnvoyFilter: IconFilter,
};

/** The picture of a kind of object. */
export function kindIcon(kind: string): ComponentType<IconProps> {
  return ICONS[kind] ?? IconBox;
}
