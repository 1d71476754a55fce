import multiprocessing


def work():
    return sum(range(3))


if __name__ == "__main__":
    process = multiprocessing.Process(target=work)
    process.start()
    process.join()
