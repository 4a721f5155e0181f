using System.Globalization;
using System.Text.RegularExpressions;

namespace Eigengate.JointDiagonalization.Reports;

/// <summary>Where a module stands in the grid layer × projection: "model.layers.7.self_attn.q_proj" is layer 7, q_proj.</summary>
/// <param name="Layer">Null for a module outside the layers, such as lm_head.</param>
/// <param name="Projection">The path after the layer, without the name of the block that it is in.</param>
internal sealed partial record ModulePath(int? Layer, string Projection)
{
    internal static ModulePath Parse(string path)
    {
        Match match = LayerNumber().Match(path);
        return match.Success && int.TryParse(match.Groups[1].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out int layer)
            ? new ModulePath(layer, Blocks().Replace(match.Groups[2].Value, ""))
            : new ModulePath(null, path);
    }

    [GeneratedRegex(@"\.(\d+)\.(.+)\z")]
    private static partial Regex LayerNumber();

    [GeneratedRegex(@"\A(self_attn|mlp|attn|attention)\.")]
    private static partial Regex Blocks();
}
