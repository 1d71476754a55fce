import threading


def fib(n):
    return 1 if n < 2 else fib(n - 1) + fib(n - 2)


threads = [threading.Thread(target=fib, args=(10,)) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
