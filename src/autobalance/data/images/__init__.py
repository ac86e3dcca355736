"""Readers of image data sets: from the files of their authors, or a user's, to one shape.

Whatever the layout on disk, a reader gives an :class:`~autobalance.data.images.image_set.ImageSet`:
images that are decoded when they are needed, and the class, group and part of each. pandas,
pyarrow and Pillow are imported only by the readers that need them.
"""
