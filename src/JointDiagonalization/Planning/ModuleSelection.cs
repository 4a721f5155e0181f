using Eigengate.JointDiagonalization.Peft;

namespace Eigengate.JointDiagonalization.Planning;

/// <summary>The modules of a base model that target names choose, as PEFT does: a whole path or its last segments.</summary>
public static class ModuleSelection
{
    /// <param name="shapes">All linear modules of the base, see <see cref="BaseShapes.Read"/>.</param>
    /// <param name="targets">Names such as <c>q_proj</c> or <c>mlp.down_proj</c>.</param>
    /// <exception cref="ArgumentException">A name chooses nothing.</exception>
    public static IReadOnlyList<ModuleShape> Choose(IReadOnlyDictionary<string, ModuleShape> shapes, IReadOnlyCollection<string> targets)
    {
        foreach (string target in targets)
        {
            if (!shapes.Keys.Any(path => IsNamed(path, target)))
            {
                string known = string.Join(", ", shapes.Keys.Select(path => path[(path.LastIndexOf('.') + 1)..]).Distinct().Order(StringComparer.Ordinal));
                throw new ArgumentException($"no module of the base model is named '{target}'; it has {known}", nameof(targets));
            }
        }

        return [.. shapes.Where(s => targets.Any(t => IsNamed(s.Key, t))).Select(s => s.Value)];
    }

    private static bool IsNamed(string path, string target) => path == target || path.EndsWith("." + target, StringComparison.Ordinal);
}
