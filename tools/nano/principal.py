"""Nano's encoder, in closed form: each 8x8 block of pixels becomes its 16 principal components.

AutoencoderKL's encoder can hold that projection exactly enough, so nothing has to be searched for: its residual branches are silent, the
three strided convolutions gather 2x2 pixels, then project 4x4 and 8x8, and the rest only passes on. On scenes this keeps 28 dB, where an
encoder learned from scratch for a quarter of an hour kept 20; and latents that are smooth in the picture are easy for the transformer.
"""
import torch

LATENTS = 16
MIDDLE = 32  # components kept of a 4x4 block
STEADY = 40.0  # two constant channels a group, plus and minus this, so that the last group norm divides every picture by the same
LIFT, GAIN = 6.0, 0.5  # SiLU is close to straight around LIFT
LOG_VARIANCE = -6.0  # of the posterior, everywhere: a standard deviation of 0.05


@torch.no_grad()
def set_encoder(vae, pictures):
    """Puts the projection, learned from pictures (N, 3, H, W) in -1..1, into the encoder's weights."""
    encoder = vae.encoder
    for module in encoder.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            module.weight.zero_()
            module.bias.zero_()
    blocks2 = torch.nn.functional.pixel_unshuffle(pictures, 2)  # channel, row, column
    four, _ = components(gather(blocks2), MIDDLE)
    blocks4 = torch.einsum("nkhw,mk->nmhw", gather(blocks2), four)
    eight, mean = components(gather(blocks4), LATENTS)
    spread = ((gather(blocks4) - mean[:, None, None]).transpose(0, 1).flatten(1).T @ eight.T).std(0)
    eight = eight / spread.sqrt()[:, None]  # half way to equal spreads: the fine components count for more than their share of pixels

    identity(encoder.conv_in, 3)
    for channel in range(3):
        for row in range(2):
            for column in range(2):
                encoder.down_blocks[0].downsamplers[0].conv.weight[4 * channel + 2 * row + column, channel, row, column] = 1
    if encoder.down_blocks[1].resnets[0].conv_shortcut is not None: identity(encoder.down_blocks[1].resnets[0].conv_shortcut, 12)
    project(encoder.down_blocks[1].downsamplers[0].conv, four)
    if encoder.down_blocks[2].resnets[0].conv_shortcut is not None: identity(encoder.down_blocks[2].resnets[0].conv_shortcut, MIDDLE)
    project(encoder.down_blocks[2].downsamplers[0].conv, eight)
    encoder.down_blocks[2].downsamplers[0].conv.bias[:LATENTS] = -eight @ mean
    spread_out = encoder.down_blocks[3].resnets[0].conv_shortcut
    for i in range(LATENTS):
        group = 8 * (i // 2)
        spread_out.weight[group + i % 2, i] = 1
        spread_out.weight[group + 2 + i % 2, i] = -1  # with its negative beside it, a group's mean is zero
        spread_out.bias[group + 4], spread_out.bias[group + 5] = STEADY, -STEADY
        encoder.conv_out.weight[i, group + i % 2, 1, 1] = 1 / (2 * GAIN)
        encoder.conv_out.weight[i, group + 2 + i % 2, 1, 1] = -1 / (2 * GAIN)
    encoder.conv_norm_out.weight.fill_(GAIN * STEADY / 2)  # the group's standard deviation is STEADY / 2
    encoder.conv_norm_out.bias.fill_(LIFT)
    encoder.conv_out.bias[LATENTS:] = LOG_VARIANCE


def gather(x):
    """(N, C, H, W) -> (N, 4C, H/2, W/2): channel, row, column."""
    return torch.nn.functional.pixel_unshuffle(x, 2)


def components(x, count):
    """The first principal components (count, channels) of x's pixels, and their mean; signs are fixed by the largest entry."""
    flat = x.transpose(0, 1).flatten(1).double()
    mean = flat.mean(1)
    _, vectors = torch.linalg.eigh(torch.cov(flat))
    found = vectors.T.flip(0)[:count]
    largest = found.gather(1, found.abs().argmax(1, keepdim=True))
    return (found * largest.sign()).float(), mean.float()


def identity(conv, channels):
    for channel in range(channels): conv.weight[channel, channel, conv.kernel_size[0] // 2, conv.kernel_size[0] // 2] = 1


def project(conv, matrix):
    """A strided convolution that gathers 2x2 pixels (padding is right and below) and multiplies by matrix (out, 4 in)."""
    out, width = matrix.shape
    conv.weight[:out, :width // 4, :2, :2] = matrix.view(out, width // 4, 2, 2)
