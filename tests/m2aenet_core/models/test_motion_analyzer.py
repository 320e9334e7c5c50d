"""What the analyzer's convolution gives, and what is made of it."""

import torch

from m2aenet_core.models.motion_analyzer import MotionAnalyzer
from m2aenet_core.models.path import ends_of_path


def test_the_analyzer_gives_ends_of_the_path_that_its_convolution_gives() -> None:
    features = torch.randn(1, 8, 4, 5)
    analyzer = MotionAnalyzer(8, output="path")
    motion = analyzer(features)
    assert torch.equal(motion.field, ends_of_path(analyzer.conv(features)))
    assert not motion.tells_time
    analyzer.output = "ends"
    assert torch.equal(analyzer(features).field, analyzer.conv(features))
    assert analyzer(features).tells_time
