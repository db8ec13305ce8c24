// SPDX-License-Identifier: Apache-2.0
import { Loading, PageHeader } from '../ui';

export function SnapshotsPage(_: { params: Record<string, string> }) {
  return (
    <>
      <PageHeader title="Snapshots" />
      <Loading />
    </>
  );
}
