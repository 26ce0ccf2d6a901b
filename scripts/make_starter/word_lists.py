"""The words of which the invented world is made. Changing any of them changes every hash of the starter."""

NAME_STARTS = (
    "Al", "Bel", "Bram", "Cor", "Dab", "Dor", "Eld", "Fen", "Fil", "Gar", "Hob", "Jun", "Kip", "Lor", "Mab", "Nim",
    "Od", "Pim", "Quin", "Ros", "Sor", "Tam", "Wil", "Zin",
)  # fmt: skip
HIS_NAME_ENDS = ("by", "bert", "ick", "low", "mund", "o")
HER_NAME_ENDS = ("ina", "wen", "etta", "ora", "elle", "issa")

KINDS = (
    "badger", "beaver", "crow", "duck", "fox", "frog", "goose", "hare", "hedgehog", "heron", "lynx", "mole",
    "mouse", "newt", "otter", "owl", "rabbit", "raven", "robin", "squirrel", "stoat", "toad", "weasel", "wren",
)  # fmt: skip
WORKS = (
    "baker", "beekeeper", "bell ringer", "bookbinder", "button carver", "candle maker", "cheese seller",
    "chimney sweep", "clock maker", "cobbler", "cooper", "ferry keeper", "fiddler", "gardener", "glass blower",
    "inn keeper", "kite maker", "lamplighter", "locksmith", "map maker", "miller", "night watch", "poet",
    "postmaster", "potter", "soap boiler", "teacher", "tinker", "umbrella mender", "weaver",
)  # fmt: skip
GARMENTS = ("hat", "scarf", "coat", "waistcoat", "cloak")
COLOURS = ("red", "blue", "green", "yellow", "purple", "orange", "grey", "white", "black", "pink", "brown", "silver")
TREASURES = (
    "brass kettle", "silver whistle", "wooden flute", "glass marble", "painted egg", "broken compass",
    "velvet cushion", "copper coin", "crystal bell", "paper lantern", "feather quill", "golden thimble",
    "old telescope", "tin soldier", "ivory comb", "rusty key", "music box", "pocket watch", "sea shell", "star map",
    "stone heart", "wicker basket", "walking stick", "woollen blanket", "lucky button", "magic lantern",
    "amber bead", "clay whistle", "little drum", "rocking chair",
)  # fmt: skip
FOODS = (
    "plum cake", "barley soup", "honey bread", "apple pie", "roast chestnuts", "nettle tea", "cherry jam",
    "oat biscuits", "mushroom stew", "pear tart", "toasted cheese", "walnut bread", "pumpkin soup",
    "ginger biscuits", "hot cocoa", "rhubarb pie", "blackberry jam", "buttered toast", "onion soup", "lemon cake",
    "carrot cake", "pea soup", "salted almonds", "baked apples", "potato dumplings", "cinnamon buns",
    "raisin bread", "leek pie",
)  # fmt: skip

TOWNS = (
    "Tolby", "Bramblewick", "Nettlecombe", "Ostery", "Muddleford", "Pennywell", "Quillhaven", "Thistledown",
    "Saltmere", "Gorsey", "Fernhollow", "Appleby", "Windlestone", "Candlebury", "Dunmarsh", "Larkspur",
)  # fmt: skip
SIGHTS = (
    "crooked clock tower", "floating market", "thousand lanterns", "singing fountain", "blue bridge",
    "oldest oak tree", "hot springs", "glass lighthouse", "windmill of seven sails", "underground library",
    "hanging gardens", "kite festival", "longest staircase", "bronze bell", "moonlit harbour", "hedge maze",
)  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
RIVERS = ("Ambler", "Brindle", "Cray", "Dapple", "Elver", "Fiddle", "Gleam", "Hush")

OPPOSITES = (
    ("hot", "cold"), ("big", "small"), ("wet", "dry"), ("early", "late"), ("old", "young"), ("loud", "quiet"),
    ("full", "empty"), ("kind", "cruel"), ("up", "down"), ("left", "right"), ("open", "closed"), ("fast", "slow"),
    ("hard", "soft"), ("light", "dark"), ("rich", "poor"), ("happy", "sad"), ("near", "far"), ("high", "low"),
    ("long", "short"), ("thick", "thin"), ("sweet", "sour"), ("clean", "dirty"), ("brave", "timid"),
    ("deep", "shallow"), ("wide", "narrow"), ("sharp", "blunt"), ("first", "last"), ("smooth", "rough"),
    ("wild", "tame"), ("strong", "weak"), ("above", "below"), ("inside", "outside"), ("common", "rare"),
    ("true", "false"), ("calm", "stormy"), ("asleep", "awake"), ("lost", "found"), ("cheap", "costly"),
    ("crooked", "straight"),
)  # fmt: skip
YOUNG_ANIMALS = (
    ("goose", "gosling"), ("hare", "leveret"), ("owl", "owlet"), ("fox", "cub"), ("duck", "duckling"),
    ("frog", "tadpole"), ("cat", "kitten"), ("dog", "puppy"), ("sheep", "lamb"), ("goat", "kid"), ("horse", "foal"),
    ("cow", "calf"), ("hen", "chick"), ("pig", "piglet"), ("swan", "cygnet"), ("deer", "fawn"), ("eel", "elver"),
    ("eagle", "eaglet"), ("pigeon", "squab"), ("spider", "spiderling"),
)  # fmt: skip
