//! leat-python
