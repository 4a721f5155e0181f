using Eigengate.Inference.Adapters;
using Eigengate.JointDiagonalization;
using Eigengate.JointDiagonalization.Peft;

namespace Eigengate.ComputeNode.Adapters;

/// <summary>An adapter folder as it is served uncompressed: its A and B, and its gains and biases, which are found once.</summary>
/// <param name="Peft">The folder.</param>
/// <param name="Outputs">Gains and biases by module path.</param>
internal sealed record ExactAdapter(PeftAdapter Peft, IReadOnlyDictionary<string, ModuleOutputs> Outputs)
{
    /// <exception cref="AdapterFormatException">Anything missing, unsupported or inconsistent.</exception>
    public static ExactAdapter Open(string folder, IReadOnlyDictionary<string, ModuleShape> shapes, BaseWeights weights)
    {
        PeftAdapter adapter = PeftAdapter.Open(folder, shapes, acceptOutputs: true);
        return new ExactAdapter(adapter, OutputReader.Read(adapter, weights));
    }

    /// <exception cref="AdapterFormatException">The files changed, or hold values that are not finite.</exception>
    public AdapterWeights Weights(string version) => AdapterWeights.Exact(Peft.Id, version, Peft.Modules.Keys.ToDictionary(module => module, Factors)) with
    {
        Outputs = Outputs.ToDictionary(module => module.Key, module => new OutputVectors(module.Value.Gain, module.Value.Gain, module.Value.Bias)),
    };

    private LoraFactors Factors(string module)
    {
        LoraDelta delta = Peft.ReadDelta(module);
        return new LoraFactors(delta.A, delta.B, delta.OutFeatures, delta.InFeatures, delta.Rank, (float)delta.Scale);
    }
}
