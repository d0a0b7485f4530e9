"""What is read from a compiled program is what it does."""

from __future__ import annotations

import pytest

from benchmarks.compiled_program import cost_of

# A product and what follows it in one kernel, fused attention, and names for values in between.
_PROGRAM = """\
HloModule jit_step, is_scheduled=true

%inside (p0: bf16[64,32], p1: bf16[32,16]) -> bf16[64,16] {
  %p0 = bf16[64,32]{1,0} parameter(0)
  %p1 = bf16[32,16]{1,0} parameter(1)
  ROOT %dot.1 = bf16[64,16]{1,0} dot(%p0, %p1), lhs_contracting_dims={1}, rhs_contracting_dims={0}
}

%around (q0: bf16[64,32], q1: bf16[32,16]) -> f32[64,16] {
  %q0 = bf16[64,32]{1,0} parameter(0)
  %q1 = bf16[32,16]{1,0} parameter(1)
  %dot.2 = bf16[64,16]{1,0} fusion(%q0, %q1), kind=kCustom, calls=%inside
  ROOT %convert.1 = f32[64,16]{1,0} convert(%dot.2)
}

ENTRY %main (a: bf16[64,32], b: bf16[32,16]) -> (f32[64,16], f32[64,16]) {
  %a = bf16[64,32]{1,0} parameter(0)
  %b = bf16[32,16]{1,0} parameter(1)
  %fused = f32[64,16]{1,0} fusion(%a, %b), kind=kCustom, calls=%around, metadata={op_name="jit(step)/dot"}
  %flat = f32[1024]{0} bitcast(%fused)
  %both = (f32[1024]{0}, u8[1]{0}, u8[1]{0}, u8[1]{0}, u8[1]{0}, /*index=5*/u8[6]{0}) custom-call(%flat), \
custom_call_target="__cudnn$fmhaSoftmax"
  %first = f32[1024]{0} get-tuple-element(%both), index=0
  %shaped = f32[64,16]{1,0} bitcast(%first)
  %many = (f32[64,64]{1,0}, s8[7]{0}) custom-call(%shaped, %fused), custom_call_target="__cublas$lt$matmul", \
backend_config={"gemm_backend_config":{"dot_dimension_numbers":{"lhs_contracting_dimensions":["1"],"rhs_contracting\
_dimensions":["1"]}}}
  ROOT %result = (f32[64,16]{1,0}, f32[64,16]{1,0}) tuple(%shaped, %fused)
}
"""


_LOOP = "%while.1 = (s32[], f32[1024]{0}) while(%both), condition=%around, body=%around"


def test_kernels_their_bytes_and_products() -> None:
    cost = cost_of(_PROGRAM)
    assert cost.fused_attentions == 1
    product, attention, library = cost.kernels
    assert product.flops == 2 * 64 * 16 * 32
    assert library.flops == cost.flops - product.flops
    assert library.flops == 2 * 64 * 64 * 16
    assert product.bytes == 2 * (64 * 32 + 32 * 16) + 4 * 64 * 16
    assert (attention.flops, attention.bytes) == (0, 4 * 1024 + 4 * 1024 + 10)
    assert cost.bytes == product.bytes + attention.bytes + library.bytes


def test_loops_and_what_is_not_understood_are_refused() -> None:
    with pytest.raises(ValueError, match=r"has a loop, while\.1"):
        cost_of(_PROGRAM.replace("%first = f32[1024]{0} get-tuple-element(%both), index=0", _LOOP))
    with pytest.raises(ValueError, match="not understood: %flat = what"):
        cost_of(_PROGRAM.replace("%flat = f32[1024]{0} bitcast(%fused)", "%flat = what?"))


@pytest.mark.slow
def test_a_program_of_this_version_of_xla_is_understood() -> None:
    import jax

    shapes = [jax.ShapeDtypeStruct(shape, "float32") for shape in ((96, 48), (48, 24))]
    text = jax.jit(lambda a, b: jax.numpy.tanh(a @ b)).lower(*shapes).compile().as_text()
    cost = cost_of(text)
    assert 4 * (96 * 48 + 48 * 24 + 96 * 24) <= cost.bytes < 4 * 4 * (96 * 48 + 48 * 24 + 96 * 24)
