using System.Collections.Frozen;
using Eigengate.ChatTemplates.Runtime;

namespace Eigengate.ChatTemplates.Library;

/// <summary>Every filter by name.</summary>
internal static class Filters
{
    private static readonly FrozenDictionary<string, Builtin> All =
        TextFilters.Table.Concat(NumberFilters.Table).Concat(SequenceFilters.Table).Concat(SelectionFilters.Table)
            .Concat(OrderFilters.Table).Append(JsonFilter.ToJson)
            .ToFrozenDictionary(f => f.Name, StringComparer.Ordinal);

    public static Builtin? Find(string name) => All.GetValueOrDefault(name);
}
