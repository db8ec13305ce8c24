// SPDX-License-Identifier: Apache-2.0
import { Loading, PageHeader } from '../ui';

export function VmsPage(_: { params: Record<string, string> }) {
  return (
    <>
      <PageHeader title="VMs" />
      <Loading />
    </>
  );
}
