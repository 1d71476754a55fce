import sys

print(sys.modules["__main__"].__name__)
