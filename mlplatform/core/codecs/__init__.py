"""Codecs of requests and answers."""

from mlplatform.core.codecs.codec import Codec, UnsupportedContentTypeError, answer_codec, codec_for
from mlplatform.core.codecs.fields import RequestFields

__all__ = ["Codec", "RequestFields", "UnsupportedContentTypeError", "answer_codec", "codec_for"]
