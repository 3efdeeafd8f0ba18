"""The version of the package."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("smeft-unbinned")
except PackageNotFoundError:  # a checkout that is on the path but not installed
    __version__ = "0+unknown"
