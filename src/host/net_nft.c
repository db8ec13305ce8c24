/* SPDX-License-Identifier: Apache-2.0 */
#include "host/net_nft.h"

#include <errno.h>
#include <linux/netlink.h>
#include <nftables/libnftables.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

/* libnftables keeps an interface cache and more in static variables, so its calls are made one at a
 * time, in whatever context. It is a leaf lock, but held over a system call: a transaction of some
 * 100 us that waits for nobody. */
static pthread_mutex_t nft_lock = PTHREAD_MUTEX_INITIALIZER;

int net_nft_open(struct nft_ctx **ret)
{
    AUTO_LOCK(&nft_lock);
    /* Where the kernel has no netfilter sockets, libnftables ends the process. */
    auto_close int probe = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    if (probe < 0)
        return -errno;
    struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
    if (!nft)
        return -ENOMEM;
    if (nft_ctx_buffer_error(nft) || nft_ctx_buffer_output(nft)) {
        nft_ctx_free(nft);
        return -ENOMEM;
    }
    *ret = nft;
    return 0;
}

void net_nft_close(struct nft_ctx *nft)
{
    /* Not under the lock: it waits, see the header, and touches only what is the context's own. */
    if (nft)
        nft_ctx_free(nft);
}

/* Its first line that says something: "FILE:LINE:COLUMN: Error: TEXT" without where it was. */
static void first_error(const char *text, char *ret, size_t size)
{
    const char *error = strstr(text, "Error: ");
    if (error)
        text = error + strlen("Error: ");
    snprintf(ret, size, "%.*s", (int)strcspn(text, "\n"), text);
}

int net_nft_run(struct nft_ctx *nft, const char *text, struct err *e)
{
    AUTO_LOCK(&nft_lock);
    if (nft_run_cmd_from_buffer(nft, text) == 0)
        return 0;
    char why[256];
    first_error(nft_ctx_get_error_buffer(nft), why, sizeof(why));
    return err_set(e, ERR_INTERNAL, "nftables: %s", *why ? why : "failed without a reason");
}
