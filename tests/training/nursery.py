"""Grows processes that kill themselves: python nursery.py TEST_FILE, then a line for each child.

A line is the JSON list [function, arguments, steps]: the function of the test file that a forked
child calls, and the step before which it sends itself SIGKILL, or 0. Forking is quick, while
importing PyTorch takes longer than everything else here. Steps are whatever touches the file
system, every forward pass of a network (a module of modules) and every step of an optimizer. The
child prints its number first and, if it survives, how many steps it took; its exit status follows.
"""

import importlib.util
import itertools
import json
import os
import signal
import sys
import traceback

import numpy as np
import torch
from torch.nn.modules.module import register_module_forward_hook
from torch.optim.optimizer import register_optimizer_step_post_hook

ON_DISK = {"open", "os.mkdir", "os.rename", "os.remove"}


def live(function, arguments, last):
    print(os.getpid(), flush=True)
    steps = itertools.count(1)

    def step(*_):
        if next(steps) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(lambda event, _: step() if event in ON_DISK else None)
    register_module_forward_hook(lambda module, *_: step() if any(module.children()) else None)
    register_optimizer_step_post_hook(step)
    function(*arguments)
    print("survived", next(steps) - 1, flush=True)


def main():
    torch.set_num_threads(1)
    spec = importlib.util.spec_from_file_location("the_test_file", sys.argv[1])
    tests = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tests)
    if hasattr(tests, "warm_up"):
        tests.warm_up()
    for number, line in enumerate(sys.stdin):
        name, arguments, last = json.loads(line)
        child = os.fork()
        if child == 0:
            try:
                torch.manual_seed(number)  # each has random streams of its own, as processes have
                np.random.seed(number)  # noqa: NPY002
                live(getattr(tests, name), arguments, last)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        print(os.waitpid(child, 0)[1], flush=True)


if __name__ == "__main__":
    main()
