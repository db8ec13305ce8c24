// SPDX-License-Identifier: Apache-2.0
import { Loading, PageHeader } from '../ui';

export function WebhooksPage(_: { params: Record<string, string> }) {
  return (
    <>
      <PageHeader title="Webhooks" />
      <Loading />
    </>
  );
}
