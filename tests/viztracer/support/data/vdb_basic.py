def inner(n):
    return sorted(range(n))


def outer(n):
    return [inner(i) for i in range(n)]


outer(5)
