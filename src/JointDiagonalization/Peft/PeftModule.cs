using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Peft;

/// <summary>One adapted module of an adapter file: where A [l, d_in] and B [d_out, l] lie, and the serving scale.</summary>
public sealed record PeftModule(string Path, TensorEntry A, TensorEntry B, double Scale)
{
    /// <summary>The bias of B, [d_out], with lora_bias.</summary>
    public TensorEntry? FactorBias { get; init; }

    /// <summary>What the rows of W + ΔW are scaled to, [d_out], with DoRA.</summary>
    public TensorEntry? Magnitude { get; init; }

    /// <summary>LoRA rank l.</summary>
    public int Rank => (int)A.Shape[0];

    public int OutFeatures => (int)B.Shape[0];

    public int InFeatures => (int)A.Shape[1];
}
