"""Labelled images from files. Knows the forms of images, and no client."""
