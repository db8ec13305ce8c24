/* SPDX-License-Identifier: Apache-2.0 */

/* New random numbers for GNU Octave. Its library seeds the generators of all distributions when it
 * is loaded; so two copies of a waiting process would draw the same. The library's own function for
 * that is called once more, by its name: octave::rand::initialize_mersenne_twister() of the one
 * octave::rand that there is. */

#include <dlfcn.h>

#include "wait.h"

void wait_octave_reseed(void)
{
    void **instance = dlsym(RTLD_DEFAULT, "_ZN6octave4rand10m_instanceE");
    void *symbol = dlsym(RTLD_DEFAULT, "_ZN6octave4rand27initialize_mersenne_twisterEv");
    if (instance && *instance && symbol)
        ((void (*)(void *))symbol)(*instance);
}
