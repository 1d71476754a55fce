def get_vizplugin(arg):
    return 3
